"""Where does it stand, beside published figures and its own bound?"""
