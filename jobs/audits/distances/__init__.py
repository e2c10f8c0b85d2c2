"""How far are its images from real ones, as sets?"""
