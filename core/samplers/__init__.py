"""Samplers: Hamiltonian Monte Carlo and annealed importance sampling over images x chains."""
