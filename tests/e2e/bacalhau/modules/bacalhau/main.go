// Bacalhau's own command line: its package cannot be built by its path, so this calls it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/bacalhau-project/bacalhau/cmd/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cli.Execute(ctx)
}
