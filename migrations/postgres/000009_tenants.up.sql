-- The second wall between tenants, behind the conditions of the statements: what a transaction
-- sees, and may write, is the rows of the tenants that it names in contacts.tenants, with spaces
-- between them. Without the setting that is none. contacts.across_tenants is for what looks after
-- all of them: it shows rows and lets them be deleted, but not be written.
--
-- Subqueries read the settings once for a statement. COALESCE keeps the planner from multiplying
-- the selectivity of the condition with that of the statement's own, which is the same. More is
-- in docs/decisions, "row-level security".
DO $$
DECLARE
    own    CONSTANT text := 'tenant_id = ANY ((SELECT string_to_array(current_setting(''contacts.tenants'', true), '' ''))::text[])';
    across CONSTANT text := '(SELECT current_setting(''contacts.across_tenants'', true) = ''on'')';
    guarded         text;
BEGIN
    FOREACH guarded IN ARRAY ARRAY['contacts', 'contact_keys', 'contact_changes', 'operations', 'parked_commands', 'pending_invalidations'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', guarded);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', guarded);
        EXECUTE format('CREATE POLICY tenants ON %I USING (coalesce(%s OR %s, false)) WITH CHECK (coalesce(%s, false))',
            guarded, own, across, own);
    END LOOP;
    -- What cannot be read is parked without a tenant.
    EXECUTE format('CREATE POLICY without_tenant ON parked_commands FOR INSERT WITH CHECK (tenant_id = '''' AND %s)', across);

    -- LIKE is not leakproof, and so leads to no index where a policy has to be checked first.
    -- This view has the condition of the policy itself, and is read as its owner, for which the
    -- policy below lets everything through.
    EXECUTE format('CREATE VIEW searchable_contacts AS SELECT * FROM contacts WHERE coalesce(%s, false)', own);
END
$$;

-- Whether contacts is read through its owner's view, and not by its owner. IMMUTABLE is not quite
-- true, but lets the planner know the value, without which the policy would stand in the way.
-- Statements on tables with policies are planned anew when the role is another.
CREATE FUNCTION through_view() RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT NOT pg_has_role(relowner, 'MEMBER') FROM pg_class WHERE oid = 'contacts'::regclass $$;

CREATE POLICY searchable ON contacts FOR SELECT TO CURRENT_USER USING (through_view());
