"""The exercises of the lessons, a file for each lesson that has any: ``EXERCISES``, with their cases, hints and typical wrong answers."""
