package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"contacts/config"
)

// healthcheckLimit is how long the answer may take.
const healthcheckLimit = 3 * time.Second

func newHealthcheck() *cobra.Command {
	return &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the serve or worker on this machine, at admin.addr, whether it lives (for containers, which have no curl)",
		Args:  usage(cobra.NoArgs),
		RunE: func(command *cobra.Command, _ []string) error {
			settings, err := config.Load(command.Flags())
			if err != nil {
				return err
			}
			return checkLive(command.Context(), settings.Admin.Addr)
		},
	}
}

// checkLive returns an error unless the process that listens on the address answers /livez
// with 200.
func checkLive(ctx context.Context, address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("admin.addr: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost" // a server that listens everywhere can be asked here
	}
	ctx, cancel := context.WithTimeout(ctx, healthcheckLimit)
	defer cancel()
	url := "http://" + net.JoinHostPort(host, port) + "/livez"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("no answer at admin.addr: %w", err)
	}
	_, err = io.Copy(io.Discard, response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return fmt.Errorf("read the answer of %s: %w", url, err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %d, expected 200", url, response.StatusCode)
	}
	return nil
}
