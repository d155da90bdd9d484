"""Rights of the data subject: access, portability, erasure (GDPR art. 15, 17, 20); retention; processing record."""
