"""What a Boltzmann machine is: energies, samples, and log Z.

Read `couplings` (W, dense or made of patterns), then `machine` (energies, fields, Gibbs steps).
`clamped` and `completions` are for rows with missing entries, `layers` makes a deep machine of a
restricted one. `tempering` runs ladders of chains at many temperatures, `bridges` sums log Z along
them, `known_states` and `basins` add modes that rows show and no chain finds. `partition`,
`tempered_partition` and `annealing` estimate log Z, `samples` draws states. Nothing here knows
scikit-learn.
"""
