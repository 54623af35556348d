// Command dittofs-operator runs the operator of DittoServer resources.
//
//	dittofs-operator --server-image registry.example/dittofs:v1
package main

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/dittofs/dittofs/k8s/dittofs-operator/internal/controller"
	"github.com/dittofs/dittofs/pkg/version"
)

// imageVariable is the environment variable with the default of --server-image.
const imageVariable = "DITTOFS_SERVER_IMAGE"

type options struct {
	serverImage    string
	leaderElect    bool
	leaseNamespace string
	metricsAddress string
	healthAddress  string
	logLevel       slog.Level
	logFormat      string
	version        bool
}

func main() {
	var o options
	flag.StringVar(&o.serverImage, "server-image", os.Getenv(imageVariable),
		"image of servers whose spec has none; default from "+imageVariable)
	flag.BoolVar(&o.leaderElect, "leader-elect", true,
		"be active only while holding a lease, so that a second replica can stand by")
	flag.StringVar(&o.leaseNamespace, "lease-namespace", "", "namespace of the lease; default: that of the pod")
	flag.StringVar(&o.metricsAddress, "metrics-address", ":8080", "address of /metrics; 0 turns it off")
	flag.StringVar(&o.healthAddress, "health-address", ":8081", "address of /healthz and /readyz; 0 turns it off")
	flag.TextVar(&o.logLevel, "log-level", slog.LevelInfo, "debug, info, warn or error")
	flag.StringVar(&o.logFormat, "log-format", "text", "text or json")
	flag.BoolVar(&o.version, "version", false, "print the version and exit")
	flag.Parse()
	if o.version {
		fmt.Println("dittofs-operator", version.String())
		return
	}
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "dittofs-operator:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	if o.serverImage == "" {
		return fmt.Errorf("no image for the servers: give --server-image or set %s", imageVariable)
	}
	ctrl.SetLogger(logr.FromSlogHandler(logHandler(o)))
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the cluster: %w", err)
	}
	mgr, err := ctrl.NewManager(config, managerOptions(o))
	if err != nil {
		return fmt.Errorf("connect to the cluster: %w", err)
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	if err := mgr.AddReadyzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	if err := controller.Add(mgr, controller.Options{DefaultImage: o.serverImage}); err != nil {
		return fmt.Errorf("set up the controller: %w", err)
	}
	ctrl.Log.Info("starting", "version", version.String(), "serverImage", o.serverImage)
	return mgr.Start(ctrl.SetupSignalHandler())
}

func logHandler(o options) slog.Handler {
	if o.logFormat == "json" {
		return slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: o.logLevel})
	}
	return slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: o.logLevel})
}

func managerOptions(o options) manager.Options {
	stop := 20 * time.Second
	return manager.Options{
		Scheme:                  controller.Scheme(),
		Cache:                   controller.CacheOptions(),
		Metrics:                 metricsserver.Options{BindAddress: o.metricsAddress},
		HealthProbeBindAddress:  o.healthAddress,
		LeaderElection:          o.leaderElect,
		LeaderElectionID:        "dittofs-operator",
		LeaderElectionNamespace: o.leaseNamespace,
		// The process ends right after the manager, so the lease can be given up.
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       &stop,
	}
}
