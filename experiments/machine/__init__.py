"""The machine: durable files, locks, signals, devices."""
