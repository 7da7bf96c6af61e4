"""What executes the chapters: parameters, stamps, runs, sweeps, the ledger, the `hb` command."""
