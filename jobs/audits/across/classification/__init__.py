"""Does it classify?"""
