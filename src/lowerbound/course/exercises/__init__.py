"""The exercises of the lessons, one to three files for each lesson that has any: cases, hints and typical wrong answers."""
