"""Operating a service: backups, verification, hardening of the process, housekeeping."""
