"""All SQL of the compute service: functions of a connection, run as units of work by the database."""
