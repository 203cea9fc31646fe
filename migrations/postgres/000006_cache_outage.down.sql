DROP TABLE cache_debts;
DROP TABLE cache_outage;
