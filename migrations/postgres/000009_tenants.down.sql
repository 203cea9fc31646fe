DROP VIEW searchable_contacts;
DROP POLICY searchable ON contacts;
DROP FUNCTION through_view;
DROP POLICY without_tenant ON parked_commands;
DO $$
DECLARE
    guarded text;
BEGIN
    FOREACH guarded IN ARRAY ARRAY['contacts', 'contact_keys', 'contact_changes', 'operations', 'parked_commands', 'pending_invalidations'] LOOP
        EXECUTE format('DROP POLICY tenants ON %I', guarded);
        EXECUTE format('ALTER TABLE %I NO FORCE ROW LEVEL SECURITY', guarded);
        EXECUTE format('ALTER TABLE %I DISABLE ROW LEVEL SECURITY', guarded);
    END LOOP;
END
$$;
