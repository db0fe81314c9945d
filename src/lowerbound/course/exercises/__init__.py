"""The exercises of the lessons, a file for each lesson that has any: cases, hints and typical wrong answers."""
