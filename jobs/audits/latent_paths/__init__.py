"""Does it dwell at training images along its latent?"""
