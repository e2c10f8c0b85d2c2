"""Is the density that of small patches?"""
