"""What the machine gives: durable files, locks, signals, devices."""
