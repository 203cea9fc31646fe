package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"contacts/config"
	"contacts/contacts"
	"contacts/contacts/adapters/cachestore"
	"contacts/contacts/adapters/commandqueue"
	"contacts/contacts/adapters/sqlstore"
	"contacts/migrations"
	"contacts/platform/cache"
	"contacts/platform/cache/memory"
	"contacts/platform/cache/redis"
	"contacts/platform/database"
	"contacts/platform/fairshare"
	"contacts/platform/health"
	"contacts/platform/httpserver"
	"contacts/platform/oidc"
	"contacts/platform/queue"
	"contacts/platform/ratelimit"
	"contacts/platform/telemetry"
)

// app is the opened adapters and the use cases over them, the same in every command.
type app struct {
	settings *config.Config
	backend  backend
	log      *slog.Logger
	audit    *slog.Logger // attempted writes and their callers, at every log level
	metrics  *metrics
	tracing  *telemetry.Tracing

	db      *database.DB
	cache   cache.Cache
	queue   queue.Queue
	notices *cachestore.Notices
	limiter ratelimit.Limiter

	service     *contacts.Service
	keys        *contacts.Keys
	parking     contacts.Parking
	consumer    *commandqueue.Consumer
	housekeeper *contacts.Housekeeper
	// what keeps a shared cache in step, nil where it is not shared
	keeping []func(context.Context)

	consumes bool           // whether this process is the one that works the embedded queue
	closers  []func() error // in the order of opening
}

// options are what differs between the commands that open an app.
type options struct {
	role        string // what the traces call the process
	createQueue bool
	logTo       io.Writer
	alone       bool // with the embedded queue: only if no other process works on it
}

// openApp opens the database, cache and queue of the settings. It refuses a schema that is
// older than the program, unless this process migrates the database itself.
func openApp(ctx context.Context, settings *config.Config, o options) (_ *app, err error) {
	a, err := newApp(settings, o.logTo)
	if err != nil {
		return nil, err
	}
	if o.createQueue && a.backend.create == nil {
		return nil, errNoQueueToCreate
	}
	log := a.log
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	if a.tracing, err = telemetry.OpenTracing(ctx, telemetry.Process{Service: "contacts", Version: version(), Role: o.role}, log); err != nil {
		return nil, err
	}
	a.closers = append(a.closers, closer(func() { a.tracing.Close(context.Background()) }))
	if err := a.claim(o.alone); err != nil {
		return nil, err
	}
	if err := a.openDatabase(ctx); err != nil {
		return nil, err
	}
	for name, pool := range a.db.Pools() {
		a.metrics.watchPool(name, pool)
	}
	bus, err := a.openCache()
	if err != nil {
		return nil, fmt.Errorf("open cache.url: %w", err)
	}
	if err := a.openQueue(ctx, o.createQueue); err != nil {
		return nil, fmt.Errorf("open queue.url: %w", err)
	}
	store := sqlstore.New(a.db)
	if err := a.sabotage(store); err != nil {
		return nil, err
	}
	a.metrics.watchQueue(a.queue)

	cached := cachestore.New(store, a.cache, a.metrics.cacheLookup)
	a.notices = cachestore.NewNotices(bus, log)
	a.service = contacts.NewService(contacts.ServiceOptions{
		Repository: cached, Queue: commandqueue.NewSender(a.queue, a.backend.names), Outcomes: a.notices, Pending: cached, Changes: store,
		Region: settings.Contact.DefaultRegion, MayWait: a.mayWait(),
	})
	a.keys = contacts.NewKeys(cachestore.NewKeys(store, a.metrics.keyLookup))
	switch {
	case settings.SharedCache():
		// On a connection of its own: with all the others in use by slow queries, it would
		// take the database for down.
		own, err := database.Open(ctx, settings.Database.URL, database.MaxConnections(1))
		if err != nil {
			return nil, fmt.Errorf("open database.url: %w", err)
		}
		a.closers = append(a.closers, own.Close)
		for name, pool := range own.Pools() {
			a.metrics.watchPool(strings.TrimSuffix("keeper-"+name, "-main"), pool)
		}
		a.metrics.watchTrust(cached.Trusted)
		source := sqlstore.New(own)
		a.keeping = []func(context.Context){cached.Watch, contacts.NewReconciler(source, source, cached, log, nil).Run}
	case !a.backend.inProcess:
		// What other processes write, this one's own cache does not hear of: no worker renews
		// the trust for it, so it is never trusted.
		a.keeping = []func(context.Context){cached.Watch}
	}
	a.parking = store
	a.housekeeper = contacts.NewHousekeeper(store, log, nil)
	a.metrics.watchParked(a.parking)
	a.consumer = commandqueue.NewConsumer(a.queue, contacts.NewProcessor(store, store, store, cached, a.notices, a.ended, log, nil),
		commandqueue.ConsumerOptions{
			Pollers: a.backend.pollers, Loops: settings.Worker.Loops, Batch: settings.Worker.Batch, PollWait: settings.Queue.PollWait,
			Visibility: a.backend.visibility, Names: a.backend.names, Log: log, Tracer: a.tracing.Tracer(), Observe: a.metrics.batch,
		})
	return a, nil
}

// mayWait shares the writes that wait for their ends at the same time among the callers.
func (a *app) mayWait() func(contacts.Caller) (done func(), ok bool) {
	waiting := fairshare.New(int64(a.settings.Limit.WaitingWrites))
	a.metrics.watchWaiting(waiting.Used)
	return func(caller contacts.Caller) (func(), bool) {
		if a.settings.Open() { // callers are not told apart
			return waiting.TryAcquire(fairshare.Holder{}, 1)
		}
		return waiting.TryAcquire(fairshare.Holder{Tenant: string(caller.Tenant), Caller: caller.Subject}, 1)
	}
}

// newApp returns an app with nothing opened yet but its logs.
func newApp(settings *config.Config, logTo io.Writer) (*app, error) {
	log, err := telemetry.NewLogger(logTo, settings.Log.Level, settings.Log.Format)
	if err != nil {
		return nil, err
	}
	audit, err := telemetry.NewLogger(logTo, "info", settings.Log.Format)
	if err != nil {
		return nil, err
	}
	return &app{settings: settings, backend: newBackend(settings), log: log, audit: audit, metrics: newMetrics()}, nil
}

// openDatabase opens the database at a schema that the program knows. It refuses a role that
// could see past the second wall between tenants, or take it down.
func (a *app) openDatabase(ctx context.Context) (err error) {
	if err := a.prepareSchema(ctx); err != nil {
		return err
	}
	if a.db, err = database.Open(ctx, a.settings.Database.URL, database.Log(a.log)); err != nil {
		return fmt.Errorf("open database.url: %w", err)
	}
	a.closers = append(a.closers, a.db.Close)
	if err := a.db.CheckRowSecurity(ctx, sqlstore.TenantTables()...); err != nil {
		return fmt.Errorf("database.url: expected a role that row-level security binds, as `contacts migrate` makes it "+
			"when database.owner_url names the owner: %w", err)
	}
	return nil
}

// loadSettings reads the settings of a command that opens an app, has each adapter read its
// address, and looks for contradictions, those that only the command has (more) among them,
// before anything is opened.
func loadSettings(command *cobra.Command, more ...func(context.Context, *config.Config) error) (*config.Config, error) {
	settings, err := config.Load(command.Flags())
	if err != nil {
		return nil, err
	}
	problems := settings.Contradictions()
	check := func(key string, err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", key, err))
		}
	}
	check("database.url", database.Check(settings.Database.URL))
	if settings.SharedCache() {
		check("cache.url", redis.Check(settings.Cache.URL))
	}
	check("queue.url", newBackend(settings).check(command.Context()))
	if settings.TakesTokens() {
		check("auth.oidc_issuer", oidc.CheckIssuer(settings.Auth.OIDCIssuer))
		check("auth.oidc_algorithms", oidc.CheckAlgorithms(settings.Auth.OIDCAlgorithms))
	}
	check("contact.default_region", contacts.CheckRegion(settings.Contact.DefaultRegion))
	for _, find := range more {
		if err := find(command.Context(), settings); err != nil {
			problems = append(problems, err)
		}
	}
	if len(problems) > 0 {
		return nil, config.NewError(problems...)
	}
	return settings, nil
}

// keyPair is what the API speaks TLS with.
func keyPair(settings *config.Config) httpserver.KeyPair {
	return httpserver.KeyPair{CertFile: settings.HTTP.TLSCert, KeyFile: settings.HTTP.TLSKey}
}

// claim makes this process the one that works the embedded queue and caches what is in its
// database, if no other is.
func (a *app) claim(alone bool) error {
	if !a.backend.inProcess {
		return nil
	}
	held, release, err := database.Lock(a.settings.Database.URL)
	if err != nil {
		return fmt.Errorf("database.url: %w", err)
	}
	if a.consumes = held; held {
		a.closers = append(a.closers, release)
	} else if alone {
		return fmt.Errorf("another process works on %s: end it first, or give this one a database.url of its own", a.settings.Database.URL)
	}
	return nil
}

func (a *app) prepareSchema(ctx context.Context) error {
	schema, err := database.OpenSchema(a.settings.Database.URL, migrations.Files)
	if err != nil {
		return fmt.Errorf("open database.url: %w", err)
	}
	if a.backend.inProcess {
		err = schema.Up(ctx)
	}
	status, statusErr := schema.Status(ctx)
	if err := errors.Join(err, statusErr, schema.Close()); err != nil {
		return fmt.Errorf("open database.url: %w", err)
	}
	if status.Version < status.Latest {
		return fmt.Errorf("the database's schema is at version %d, and this program needs %d: run `contacts migrate` first",
			status.Version, status.Latest)
	}
	return nil
}

func (a *app) openCache() (cache.Bus, error) {
	limiter := memory.NewLimiter(0)
	a.closers = append(a.closers, closer(limiter.Close))
	if !a.settings.SharedCache() {
		local := memory.Open(memory.Options{})
		a.cache, a.limiter = local, limiter
		a.closers = append(a.closers, closer(local.Close))
		return local, nil
	}
	client, err := redis.Open(redis.Options{URL: a.settings.Cache.URL, KeyPrefix: "contacts:"})
	if err != nil {
		return nil, err
	}
	a.cache, a.limiter = client, ratelimit.Fallback{Shared: client, Local: limiter}
	a.closers = append(a.closers, closer(client.Close))
	return client, nil
}

func closer(closeIt func()) func() error {
	return func() error { closeIt(); return nil }
}

// checks are what a ready process needs. The cache is none of it: without it reads are slower,
// and nothing else.
func (a *app) checks() []health.Check {
	return []health.Check{
		{Name: "database", Run: a.db.Ping},
		{Name: "queue", Run: func(ctx context.Context) error { _, err := a.queue.Stats(ctx); return err }},
	}
}

// close closes what was opened, the last first.
func (a *app) close() error {
	var errs []error
	for i := len(a.closers) - 1; i >= 0; i-- {
		errs = append(errs, a.closers[i]())
	}
	a.closers = nil
	return errors.Join(errs...)
}
