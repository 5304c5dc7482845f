package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// The user of distroless images, `nonroot`.
const user = 65532

// The limit on locked memory that the Dockerfile asks for, in bytes.
const memlock = 8 << 20

// All namespaces are its own, the network's, which has a loopback, among them.
func container(root, profile string, args []string, noNewPrivileges bool) error {
	env := []string{"PATH=/usr/local/bin"}
	for len(args) > 0 && strings.Contains(args[0], "=") {
		env, args = append(env, args[0]), args[1:]
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	spec := &specs.Spec{
		Version: "1.0.2",
		Root:    &specs.Root{Path: root, Readonly: true},
		Process: &specs.Process{
			User:            specs.User{UID: user, GID: user},
			Args:            args,
			Env:             env,
			Cwd:             "/",
			NoNewPrivileges: noNewPrivileges,
			Capabilities:    &specs.LinuxCapabilities{},
			Rlimits:         []specs.POSIXRlimit{{Type: "RLIMIT_MEMLOCK", Hard: memlock, Soft: memlock}},
		},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		},
		Linux: &specs.Linux{
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.PIDNamespace}, {Type: specs.NetworkNamespace}, {Type: specs.MountNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace},
			},
			MaskedPaths: []string{"/proc/kcore", "/proc/keys", "/proc/timer_list"},
		},
	}
	if profile == "default" {
		spec.Linux.Seccomp, err = seccomp.GetDefaultProfile(spec)
	} else {
		var body []byte
		if body, err = os.ReadFile(profile); err == nil {
			spec.Linux.Seccomp, err = seccomp.LoadProfile(string(body), spec)
		}
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(spec)
}
