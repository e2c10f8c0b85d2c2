"""Does mode collapse recede over a training, and do generators share it?"""
