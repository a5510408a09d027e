"""What is searched: parameters, spaces, samplers and pruners, objectives."""
