DROP TABLE parked_commands;
