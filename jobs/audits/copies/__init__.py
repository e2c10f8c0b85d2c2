"""Does it copy training images?"""
