"""Are the data typical?"""
