package database_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"gorm.io/gorm"

	"contacts/platform/database"
)

// Statements and transactions are spans of the trace that they are asked for in, without the
// values in them.
func TestOpen_Traces(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, db *database.DB) {
		recorder := tracetest.NewSpanRecorder()
		ctx, root := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)).Tracer("").Start(t.Context(), "root")
		defer root.End()
		spans := func() map[string]sdktrace.ReadOnlySpan {
			all := map[string]sdktrace.ReadOnlySpan{}
			for _, span := range recorder.Ended() {
				all[span.Name()] = span
				for _, a := range span.Attributes() {
					require.NotContains(t, a.Value.String(), "4711")
				}
			}
			recorder.Reset()
			return all
		}
		below := func(parent, child trace.SpanContext) {
			t.Helper()
			require.Equal(t, parent.SpanID(), child.SpanID())
		}

		require.NoError(t, db.Write.Exec("INSERT INTO things (id, n) VALUES (?, ?)", 4711, 1).Error)
		var n int
		require.NoError(t, db.Read.Raw("SELECT n FROM things WHERE id = ?", 4711).Scan(&n).Error)
		require.Empty(t, spans(), "what belongs to no trace begins none")

		require.NoError(t, db.Read.WithContext(ctx).Raw("SELECT n FROM things WHERE id = ?", 4711).Scan(&n).Error)
		require.NoError(t, db.Read.WithContext(ctx).Raw("SELECT n FROM things WHERE id = ?", 4711).Row().Scan(&n))
		got := spans()
		require.Len(t, got, 1)
		selected := got["SELECT things"]
		below(root.SpanContext(), selected.Parent())
		require.Equal(t, trace.SpanKindClient, selected.SpanKind())
		text := attribute.Key("db.query.text")
		for _, a := range selected.Attributes() {
			if a.Key == text {
				require.Regexp(t, `^SELECT n FROM things WHERE id = (\?|\$1)$`, a.Value.AsString())
			}
		}

		transact := func(end error, statement string) error {
			return db.Write.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
				return errors.Join(tx.Exec(statement, 4711).Error, end)
			})
		}
		require.NoError(t, transact(nil, "UPDATE things SET n = 2 WHERE id = ?"))
		got = spans()
		require.Len(t, got, 4)
		for _, name := range []string{"BEGIN", "UPDATE things", "COMMIT"} {
			below(got["transaction"].SpanContext(), got[name].Parent())
			require.Equal(t, codes.Unset, got[name].Status().Code)
		}
		below(root.SpanContext(), got["transaction"].Parent())
		require.Equal(t, codes.Unset, got["transaction"].Status().Code)

		require.Error(t, transact(nil, "INSERT INTO things (id, n) VALUES (?, 1)"))
		got = spans()
		require.Len(t, got, 4)
		require.Contains(t, got, "ROLLBACK")
		class := map[string]string{}
		for _, name := range []string{"INSERT things", "transaction"} {
			require.Equal(t, sdktrace.Status{Code: codes.Error}, got[name].Status(), "what the database says may quote values")
			for _, a := range got[name].Attributes() {
				if a.Key == "error.type" {
					class[name] = a.Value.AsString()
				}
			}
		}
		require.Equal(t, "rollback", class["transaction"])
		require.Equal(t, map[database.Engine]string{database.Postgres: "23505", database.SQLite: "1555"}[db.Engine], class["INSERT things"])
		require.Empty(t, spans())

		require.Error(t, transact(errors.New("thought better of it"), "UPDATE things SET n = 3 WHERE id = ?"))
		require.NoError(t, db.Read.Raw("SELECT n FROM things WHERE id = ?", 4711).Scan(&n).Error)
		require.Equal(t, 2, n)
	})
}
