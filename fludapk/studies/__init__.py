"""Studies of many patients: simulated dosing strategies, and models on measured levels."""
