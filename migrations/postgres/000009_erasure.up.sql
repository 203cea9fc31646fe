-- The message groups of erased contacts: what cannot be applied of them is not set aside either.
CREATE TABLE erasures (
    message_group text PRIMARY KEY,
    erased_at     timestamptz NOT NULL
);
CREATE INDEX erasures_erased_at ON erasures (erased_at);

-- Those that succeeded are found by the changes that they made.
CREATE INDEX operations_failed ON operations (tenant_id, contact_id) WHERE status = 'failed';

-- The planner keeps samples of columns' values, of people's data only where they are searched by: the others have none.
ALTER TABLE contacts
    ALTER first_name SET STATISTICS 0, ALTER middle_name SET STATISTICS 0, ALTER last_name SET STATISTICS 0,
    ALTER name_prefix SET STATISTICS 0, ALTER name_suffix SET STATISTICS 0, ALTER nickname SET STATISTICS 0,
    ALTER display_name SET STATISTICS 0, ALTER email SET STATISTICS 0, ALTER phone SET STATISTICS 0,
    ALTER organization SET STATISTICS 0, ALTER department SET STATISTICS 0, ALTER job_title SET STATISTICS 0,
    ALTER birthday SET STATISTICS 0, ALTER notes SET STATISTICS 0, ALTER emails SET STATISTICS 0,
    ALTER phones SET STATISTICS 0, ALTER addresses SET STATISTICS 0, ALTER urls SET STATISTICS 0,
    ALTER labels SET STATISTICS 0, ALTER custom_fields SET STATISTICS 0;
ALTER TABLE contact_changes ALTER document SET STATISTICS 0;
ALTER TABLE parked_commands ALTER body SET STATISTICS 0;
