"""Which group is the likeliest?"""
