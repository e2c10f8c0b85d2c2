"""offmanifold: audits of whether an image generator has learned its data.

The map:

* :mod:`offmanifold.core`: numerics on tensors and arrays (generators, samplers, inversion,
  statistics). No Ray, no files, no network.
* :mod:`offmanifold.workers`: what runs on a node: opening models and image sets, turning a shard
  into rows, the schemas of the tables.
* :mod:`offmanifold.cluster`: where it runs and where bytes go: executors and storage.
* :mod:`offmanifold.jobs`: what a user sees: spec, plan, driver, reducers, report, command line.
"""

__version__ = "0.1.0"
