package cmd_test

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"contacts/contacts"
	"contacts/contacts/contactstest"
	"contacts/platform/database"
	"contacts/platform/database/databasetest"
	"contacts/platform/queue"
	embeddedqueue "contacts/platform/queue/embedded"
	"contacts/platform/queue/sqs"
	"contacts/test/servers"
)

// A person's data are looked for in every place that the service writes to, before the person
// is erased, so that it is seen that they would be found, and after it.
func TestEndToEnd_Erase(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		eraseEmbedded(t, newPerson(t, embedded(t)))
	})
	t.Run("production", func(t *testing.T) {
		t.Parallel()
		eraseInProduction(t, newPerson(t, production(t)))
	})
}

// person is a contact with a recognizable text in every field, and the system that is
// given them.
type person struct {
	*system
	t        *testing.T
	core     string // ASCII letters and digits, which stand in every field, in one case or another
	fields   contacts.Fields
	id       uuid.UUID
	created  contacts.Write    // by which they were made
	accepted []uuid.UUID       // operations that have not ended
	needles  map[string][]byte // in lower case
}

// gothic is in no case, beyond what a queue may transport as it is, and one part of the search
// index.
const gothic = "𐌰𐌱𐌲"

func newPerson(t *testing.T, s *system) *person {
	t.Helper()
	s.env = append(s.env, "CONTACTS_LOG_LEVEL=debug")
	core := "zq" + strings.ReplaceAll(uuid.NewString(), "-", "")[:12]
	mobile, other := fmt.Sprintf("9%08d", rand.N(100_000_000)), fmt.Sprintf("7%015d", rand.N(1_000_000_000_000_000))
	p := &person{system: s, t: t, core: core, created: keyed(core)}
	upper := strings.ToUpper(core)
	p.fields = contacts.Fields{
		FirstName: "Ç" + upper, MiddleName: core, LastName: "Ñ" + core, NamePrefix: core, NameSuffix: core, Nickname: core,
		DisplayName: gothic + " " + upper + "é", Emails: []contacts.EmailAddress{{Address: upper + "@example.com", Label: core}},
		Phones:       []contacts.PhoneNumber{{Number: "+51 " + mobile, Label: core}, {Number: other[:8] + "-" + other[8:]}},
		Addresses:    []contacts.PostalAddress{{Street: core, City: core, Region: core, PostalCode: core, Country: core, Label: core}},
		Organization: core, Department: core, JobTitle: core, Birthday: "--02-29", URLs: []string{"https://example.com/" + core},
		Notes: strings.Repeat(core+" ", 1000) + gothic, Labels: []string{upper}, CustomFields: map[string]contacts.CustomValue{core: contacts.CustomText(core)}, ExternalID: core,
	}
	p.needles = map[string][]byte{
		"text": []byte(core), "mobile": []byte("51" + mobile), "mobile as written": []byte("51 " + mobile), "phone": []byte(other), "phone as written": []byte(other[:8] + "-" + other[8:]),
		"gothic": []byte(gothic), "escaped": []byte(`\ud800\udf30\ud800\udf31\ud800\udf32`),
	}
	for shift := range 3 { // where the text begins within three bytes that are encoded together
		encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("-", shift) + core))
		p.needles[fmt.Sprint("base64 ", shift)] = []byte(strings.ToLower(encoded[4 : len(encoded)-4]))
	}
	return p
}

func keyed(name string) contacts.Write {
	write := waiting()
	write.IdempotencyKey = name + uuid.NewString()
	return write
}

// hits counts what of the person is found in a place.
func (p *person) hits(content []byte) (count int) {
	// As it is, and where its escapes are escaped once more.
	content = bytes.ToLower(bytes.ReplaceAll(content, []byte(`\\`), []byte(`\`)))
	for _, needle := range p.needles {
		count += bytes.Count(content, needle)
	}
	return count
}

// requireHits looks for the person in places by their names.
func (p *person) requireHits(found bool, places map[string][]byte) {
	p.t.Helper()
	for place, content := range places {
		count := p.hits(content)
		p.t.Logf("%s: %d hits in %d bytes", place, count, len(content))
		if found {
			require.NotZero(p.t, count, "%s: what is not found before cannot be missed after", place)
			continue
		}
		lower := bytes.ToLower(content)
		for name, needle := range p.needles {
			at := bytes.Index(lower, needle)
			require.Negative(p.t, at, "%s: %s, as in %q", place, name, content[max(0, at-100):min(len(content), max(0, at)+100)])
		}
		require.Zero(p.t, count, place)
	}
}

// must takes what a write that has to succeed returns.
func (p *person) must(operation contacts.Operation, err error) contacts.Operation {
	p.t.Helper()
	require.NoError(p.t, err)
	require.Equal(p.t, contacts.Succeeded, operation.Status)
	return operation
}

func (p *person) requireKind(kind contacts.Kind, err error) {
	p.t.Helper()
	require.True(p.t, contacts.IsKind(err, kind), "%v", err)
}

// live has the person created, changed, refused, read and searched for.
func (p *person) live() {
	t, client := p.t, p.client()
	for range 20 { // others, which stay
		p.must(client.Create(t.Context(), contactstest.Full(t), waiting()))
	}
	holder := contactstest.Full(t)
	p.must(client.Create(t.Context(), holder, waiting()))
	p.id = p.must(client.Create(t.Context(), p.fields, p.created)).Contact
	replaced := p.fields
	replaced.MiddleName, replaced.Nickname = "Replaced", "former "+p.core
	p.must(client.Replace(t.Context(), p.id, replaced, keyed("replace")))
	for i := range 3 {
		patch := fmt.Sprintf(`{"nickname":"%d %s","notes":%q}`, i, p.core, strings.Repeat(p.core+gothic, 100*(i+1)))
		p.must(client.Merge(t.Context(), p.id, contacts.Patch(patch), keyed("merge")))
	}

	stale := keyed("stale")
	stale.IfMatch = []int64{1}
	_, err := client.Merge(t.Context(), p.id, contacts.Patch(`{"notes":"`+p.core+`"}`), stale)
	p.requireKind(contacts.KindStaleVersion, err)
	_, err = client.Merge(t.Context(), p.id, contacts.Patch(`{"notes":"`+p.core+`","external_id":"`+holder.ExternalID+`"}`), keyed("duplicate"))
	p.requireKind(contacts.KindDuplicateExternalID, err)
	_, err = client.Create(t.Context(), p.fields, keyed("double"))
	p.requireKind(contacts.KindDuplicateExternalID, err)
	wrong := `{"first_name":"` + p.core + `","email":"` + p.core + `","custom_fields":{"` + p.core + `":[5]},"` + p.core + `":""}`
	response, body := request(t, http.MethodPost, p.url+"/v1/contacts", wrong)
	require.Equal(t, http.StatusUnprocessableEntity, response.StatusCode, body)

	_, err = client.Get(t.Context(), p.id)
	require.NoError(t, err)
	for _, filter := range []contacts.Filter{
		{Text: p.core},
		{Text: gothic},
		{Values: map[string]string{"email": p.fields.Emails[0].Address}},
		{Values: map[string]string{"phone": p.fields.Phones[1].Number}},
		{Values: map[string]string{"label": p.core}},
	} {
		page, err := client.List(t.Context(), filter, 10, "")
		require.NoError(t, err)
		require.Len(t, page.Items, 1, "%+v", filter)
	}
	response, body = request(t, http.MethodGet, p.url+"/v1/contacts?sort=name&limit=1&cursor="+p.core, "")
	require.Equal(t, http.StatusUnprocessableEntity, response.StatusCode, body)
	// once all transactions have ended that began before, also those of other tests
	require.Eventually(t, func() bool {
		response, body = request(t, http.MethodGet, p.url+"/v1/changes?limit=500", "")
		return response.StatusCode == http.StatusOK && strings.Contains(body, p.core)
	}, 30*time.Second, 50*time.Millisecond)
}

// event is a command of the contact, with data of a newer version where strange is given.
func (p *person) event(operation uuid.UUID, strange string) []byte {
	return fmt.Appendf(nil, `{"specversion":"1.0","id":"%s","source":"/contacts","type":"contacts.command.merge.v1","subject":"%s",`+
		`"time":"2026-01-02T03:04:05Z","datacontenttype":"application/json","tenant":"default","fingerprint":"%s",`+
		`"data":{"patch":{"notes":"%[4]s"}%[5]s}}`, operation, p.id, "of"+p.core, p.core, strange)
}

// park has one command of the contact parked.
func (p *person) park(q queue.Queue) {
	p.t.Helper()
	operation := contactstest.NewID(p.t)
	require.NoError(p.t, q.Send(p.t.Context(), queue.Message{
		Group: contacts.MessageGroup(contacts.DefaultTenant, p.id), DeduplicationID: operation.String(),
		Body: p.event(operation, `,"pronouns":"`+p.core+`"`),
	}))
	require.Eventually(p.t, func() bool {
		now, err := p.client().Operation(p.t.Context(), operation)
		return err == nil && now.Status == contacts.Failed && now.Problem.Kind == contacts.KindParked
	}, 2*time.Minute, 100*time.Millisecond)
}

// drawn adds the fingerprints of the operations on the contact to what is looked for.
func (p *person) drawn(db *sql.DB, query string) {
	p.t.Helper()
	rows, err := db.QueryContext(p.t.Context(), query, p.id.String())
	require.NoError(p.t, err)
	defer func() { require.NoError(p.t, rows.Close()) }()
	for rows.Next() {
		var fingerprint string
		require.NoError(p.t, rows.Scan(&fingerprint))
		p.needles["fingerprint "+fingerprint] = []byte(fingerprint)
	}
	require.NoError(p.t, rows.Err())
	require.GreaterOrEqual(p.t, len(p.needles), 15)
}

// late asks for the person, and for more writes, after the erasure.
func (p *person) late() {
	t, client := p.t, p.client()
	_, err := client.Get(t.Context(), p.id)
	p.requireKind(contacts.KindNotFound, err)
	_, err = client.Create(t.Context(), p.fields, p.created)
	p.requireKind(contacts.KindErased, err)
	_, err = client.Merge(t.Context(), p.id, contacts.Patch(`{"notes":"`+p.core+`"}`), keyed("late"))
	p.requireKind(contacts.KindNotFound, err)
	_, err = client.Replace(t.Context(), p.id, p.fields, waiting())
	p.requireKind(contacts.KindNotFound, err)
	page, err := client.List(t.Context(), contacts.Filter{Text: p.core}, 10, "")
	require.NoError(t, err)
	require.Empty(t, page.Items)
	page, err = client.List(t.Context(), contacts.Filter{}, 100, "")
	require.NoError(t, err)
	require.Len(t, page.Items, 21, "the others are all there")
	response, body := request(t, http.MethodGet, p.url+"/v1/changes?limit=500", "")
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.NotContains(t, body, p.core)
	require.Equal(t, 1, strings.Count(body, `"contact_id":"`+p.id.String()+`"`), "its deletion")
	listed := run(t, p.folder, p.env, "worker", "parked", "list")
	require.Zero(t, listed.status, listed.stderr)
	require.Equal(t, 1, strings.Count(listed.stdout, "\n"), listed.stdout)
}

// logs returns what the system's processes have logged.
func (p *person) logs() map[string][]byte {
	logs := map[string][]byte{}
	for i, process := range p.processes {
		logs[fmt.Sprint("log ", i)] = []byte(process.log())
	}
	return logs
}

// requireLogged makes sure that reads are among what was logged, which take a search in their
// query.
func (p *person) requireLogged(logs map[string][]byte) {
	p.t.Helper()
	require.Regexp(p.t, `"level":"DEBUG".*"method":"GET","route":"/v1/contacts"`, string(logs["log 0"]))
}

func eraseEmbedded(t *testing.T, p *person) {
	p.start(t)
	p.live()
	file := filepath.Join(p.folder, "data", "contacts.db")
	db, err := database.Open(t.Context(), "sqlite://"+file)
	require.NoError(t, err)
	q := embeddedqueue.Open(db.Write, db.Read, embeddedqueue.Options{})
	p.park(q)
	q.Close()
	pool, err := db.Read.DB()
	require.NoError(t, err)
	p.drawn(pool, "SELECT fingerprint FROM operations WHERE contact_id = ? AND fingerprint <> ''")
	require.NoError(t, db.Close())
	files := func() map[string][]byte {
		t.Helper()
		contents := map[string][]byte{}
		for _, name := range []string{file, file + "-wal", file + "-shm"} {
			content, err := os.ReadFile(name)
			if !os.IsNotExist(err) {
				require.NoError(t, err)
				contents[filepath.Base(name)] = content
			}
		}
		return contents
	}
	all := func() []byte { return bytes.Join([][]byte{files()["contacts.db"], files()["contacts.db-wal"]}, nil) }
	p.requireHits(true, map[string][]byte{"files": all()})

	parts := p.needles["gothic"] // which the search index keeps for a while
	delete(p.needles, "gothic")
	// a reader may keep the log from being emptied: then the erasure is to be repeated
	require.Eventually(t, func() bool {
		p.must(p.client().Erase(t.Context(), p.id, keyed("erase")))
		return p.hits(all()) == 0
	}, time.Minute, 100*time.Millisecond)
	p.requireHits(false, files())
	p.needles["gothic"] = parts
	p.late()
	require.Zero(t, p.processes[0].terminate(t))
	log := p.logs()
	p.requireLogged(log)

	p.start(t) // it scrubs what is left of the search index, at once and every hour
	require.Eventually(t, func() bool {
		return bytes.Contains(p.logs()["log 0"], []byte(`"msg":"housekeeping done","chore":"remains of erased contacts removed"`))
	}, time.Minute, 20*time.Millisecond)
	require.Zero(t, p.processes[0].terminate(t))
	p.requireHits(false, files())
	p.requireHits(false, log)
	p.requireHits(false, p.logs())
}

func eraseInProduction(t *testing.T, p *person) {
	redis, err := servers.StartRedis(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, redis.Stop()) })
	p.env = append(p.env, "CONTACTS_CACHE_URL="+redis.URL)
	p.start(t)
	p.live()
	address := p.variable("CONTACTS_QUEUE_URL")
	q, dead := openQueue(t, address), openQueue(t, sqs.DeadLetterURL(address))
	p.park(q)
	db := p.database(t)
	p.drawn(db, "SELECT fingerprint FROM operations WHERE contact_id = $1 AND fingerprint <> ''")

	// Commands that wait: the first one in the dead-letter queue.
	require.Zero(t, p.processes[1].terminate(t))
	log := p.logs()
	p.requireLogged(log)
	for i := range 3 {
		write := keyed("pending")
		write.Wait = 0
		pending, err := p.client().Merge(t.Context(), p.id, contacts.Patch(fmt.Sprintf(`{"notes":"%d %s %s"}`, i, p.core, gothic)), write)
		require.NoError(t, err)
		p.accepted = append(p.accepted, pending.ID)
	}
	bury(t, q, dead)
	erasure, err := p.client().Erase(t.Context(), p.id, contacts.Write{})
	require.NoError(t, err)

	places := func() map[string][]byte {
		t.Helper()
		places := map[string][]byte{
			"dump": dump(t, databasetest.Superuser(t, p.variable("CONTACTS_DATABASE_URL"))), "data files": dataFiles(t, db), "Redis": snapshot(t, redis),
			"queue": p.messages(address), "dead-letter queue": p.messages(sqs.DeadLetterURL(address)),
		}
		require.Contains(t, string(places["dump"]), p.id.String())
		require.Contains(t, string(places["Redis"]), "contacts:operation:default:")
		return places
	}
	p.requireHits(true, places())

	worker, _ := start(t, p.folder, p.env, "worker")
	p.processes[1] = worker
	awaitSuccess(t, p.system, erasure.ID)
	redriven := run(t, p.folder, p.env, "worker", "redrive")
	require.Zero(t, redriven.status, redriven.stderr)
	require.Equal(t, "1 messages sent again\n", redriven.stdout)
	p.late()
	for i, id := range p.accepted {
		require.Eventually(t, func() bool {
			now, err := p.client().Operation(t.Context(), id)
			return err == nil && now.Status != contacts.Pending && (now.Status == contacts.Failed) == (i == 0)
		}, time.Minute, 20*time.Millisecond, "the one that came from the dead-letter queue comes too late")
	}
	require.Eventually(t, func() bool {
		stats, err := q.Stats(t.Context())
		return err == nil && stats == queue.Stats{}
	}, time.Minute, 20*time.Millisecond)
	p.requireHits(false, places())
	p.requireHits(false, log)
	p.requireHits(false, p.logs())
}

// While Redis is away erasures wait, and nothing else does.
func TestEndToEnd_EraseWithoutRedis(t *testing.T) {
	t.Parallel()
	s := production(t)
	redis, err := servers.StartRedis(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, redis.Stop()) })
	s.env = append(s.env, "CONTACTS_CACHE_URL="+redis.URL)
	s.start(t)
	client := s.client()
	made, err := client.Create(t.Context(), contactstest.Jane(t), waiting())
	require.NoError(t, err)
	other, err := client.Create(t.Context(), contactstest.Jane(t), waiting())
	require.NoError(t, err)
	require.NoError(t, redis.Kill())
	erasure, err := client.Erase(t.Context(), made.Contact, contacts.Write{})
	require.NoError(t, err)
	require.Equal(t, contacts.Pending, erasure.Status)
	for range 3 {
		_, err := client.Merge(t.Context(), other.Contact, contacts.Patch(`{"nickname":"N"}`), waiting())
		require.NoError(t, err)
	}
	document, err := client.Get(t.Context(), made.Contact)
	require.NoError(t, err)
	require.EqualValues(t, 1, document.Version)
	require.NoError(t, redis.Restart(t.Context()))
	require.EqualValues(t, 2, awaitSuccess(t, s, erasure.ID).Version)
	_, err = client.Get(t.Context(), made.Contact)
	require.True(t, contacts.IsKind(err, contacts.KindNotFound), "%v", err)
}

// dump returns a dump of a database.
func dump(t *testing.T, address string) []byte {
	t.Helper()
	program, err := servers.FindPostgresProgram("pg_dump")
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), program, "--dbname", address)
	var complaints bytes.Buffer
	command.Stderr = &complaints
	content, err := command.Output()
	require.NoError(t, err, complaints.String())
	return content
}

// dataFiles returns the files of a database as they are after what the runbook has an operator
// do.
func dataFiles(t *testing.T, db *sql.DB) (content []byte) {
	t.Helper()
	for _, statement := range []string{"ANALYZE", "VACUUM FULL", "CHECKPOINT"} {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	var folder, name string
	require.NoError(t, db.QueryRowContext(t.Context(),
		"SELECT current_setting('data_directory'), oid::text FROM pg_database WHERE datname = current_database()").Scan(&folder, &name))
	require.NoError(t, filepath.WalkDir(filepath.Join(folder, "base", name), func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		part, err := os.ReadFile(file)
		if os.IsNotExist(err) { // a checkpoint has removed it
			return nil
		}
		content = append(content, part...)
		return err
	}))
	return content
}

// snapshot returns every key and value of a Redis, as it saves them.
func snapshot(t *testing.T, redis *servers.Server) []byte {
	t.Helper()
	require.NoError(t, ask(t, redis, "CONFIG SET rdbcompression no"))
	require.NoError(t, ask(t, redis, "SAVE"))
	content, err := os.ReadFile(filepath.Join(filepath.Dir(redis.LogFile()), "dump.rdb"))
	require.NoError(t, err)
	return content
}

// messages returns what the SQS emulator has in a queue, in flight or not.
func (p *person) messages(queueURL string) []byte {
	p.t.Helper()
	address, err := url.Parse(queueURL)
	require.NoError(p.t, err)
	response, body := request(p.t, http.MethodGet, server(p.t, "CONTACTS_TEST_SQS_URL")+"/_fauxqs/queues/"+path.Base(address.Path), "")
	require.Equal(p.t, http.StatusOK, response.StatusCode, body)
	return []byte(body)
}
