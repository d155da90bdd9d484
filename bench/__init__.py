"""The benchmarks of Consentful, each paired with a peer: ratios, because machines differ."""
