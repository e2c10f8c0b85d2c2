"""How many different images does it make?"""
