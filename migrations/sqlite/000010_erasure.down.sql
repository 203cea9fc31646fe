DROP INDEX operations_failed;
DROP TABLE erasures;
