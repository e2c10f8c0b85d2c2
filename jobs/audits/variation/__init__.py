"""Is the density that of smooth images?"""
