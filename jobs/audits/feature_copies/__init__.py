"""Does it copy, by what networks see of its images?"""
