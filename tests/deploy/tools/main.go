// What tests/deploy/run asks of Go: the configurations of deploy/, read by the types of those who will read them, and the containers that it starts.
//
//	deploy kubernetes FILE  each document is decoded by Kubernetes' own types, and no field is unknown to them; prints variables, arguments and probes of the
//	                        containers
//	deploy kustomize FILE   the same of what a Kustomization puts together
//	deploy envoy FILE       it is decoded and validated by Envoy's own definitions, its extensions too; prints which
//	deploy container [-privileges] ROOT PROFILE [NAME=VALUE]... ARG...
//	                        prints the config.json of a container for runc: with this seccomp profile, read by Docker's own code, or with `default`, Docker's;
//	                        as deploy/kubernetes has it, no root, no capabilities, no writing, and no new privileges but with -privileges
package main

import (
	"errors"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "deploy:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "kubernetes":
		return kubernetes(args[1])
	case len(args) == 2 && args[0] == "kustomize":
		return kustomize(args[1])
	case len(args) == 2 && args[0] == "envoy":
		return envoy(args[1])
	case len(args) > 4 && args[0] == "container" && args[1] == "-privileges":
		return container(args[2], args[3], args[4:], false)
	case len(args) > 3 && args[0] == "container":
		return container(args[1], args[2], args[3:], true)
	}
	return errors.New("usage: deploy kubernetes FILE | deploy kustomize FILE | deploy envoy FILE | deploy container [-privileges] ROOT PROFILE [NAME=VALUE]... ARG...")
}
