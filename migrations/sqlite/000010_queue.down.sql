DROP TABLE queue_deduplications;
DROP TABLE queue_groups;
DROP TABLE queue_messages;
