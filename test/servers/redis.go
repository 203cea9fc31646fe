package servers

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os/exec"
	"syscall"
)

// StartRedis starts a Redis server that keeps its data in memory only, in up to 1024
// databases.
func StartRedis(ctx context.Context) (*Server, error) {
	redis, err := findRedis()
	if err != nil {
		return nil, err
	}
	port, err := FreePort(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := newDir("Redis", nil)
	if err != nil {
		return nil, err
	}
	return startServer(ctx, "redis://127.0.0.1:"+port, dir, Program{
		Name:  "Redis",
		Args:  []string{redis, "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--databases", "1024"},
		Stop:  syscall.SIGTERM,
		Ready: func(ctx context.Context, _ *Server) error { return ping(ctx, net.JoinHostPort("127.0.0.1", port)) },
	})
}

// ping asks a Redis server whether it is there, in the protocol's inline form.
func ping(ctx context.Context, addr string) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprint(conn, "PING\r\n"); err != nil {
		return err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if answer != "+PONG\r\n" {
		return fmt.Errorf("PING was answered by %q", answer)
	}
	return nil
}

func findRedis() (string, error) {
	redis, err := exec.LookPath("redis-server")
	if err != nil {
		return "", missing("Redis", "apt-get install redis-server (Debian, Ubuntu) or brew install redis (macOS)")
	}
	return redis, nil
}
