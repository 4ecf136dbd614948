"""bench/vmlab/run: engines that serve virtual machines, beside each other in one run."""
