"""Log densities by annealed importance sampling."""
