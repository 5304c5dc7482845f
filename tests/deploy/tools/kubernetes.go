package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"sigs.k8s.io/yaml"
)

// The kinds that deploy/kubernetes has.
func object(kind meta.TypeMeta) (any, error) {
	switch kind {
	case meta.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}:
		return &apps.Deployment{}, nil
	case meta.TypeMeta{APIVersion: "v1", Kind: "Service"}:
		return &core.Service{}, nil
	case meta.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"}:
		return &policy.PodDisruptionBudget{}, nil
	}
	return nil, fmt.Errorf("this check does not know %s %s; teach it", kind.APIVersion, kind.Kind)
}

// What an object is called.
type named struct {
	meta.TypeMeta
	Metadata struct{ Name string }
}

// As much of a Kustomization as deploy/kubernetes has.
type kustomization struct {
	meta.TypeMeta
	Resources []string
	Patches   []struct{ Path, Patch string }
}

func kubernetes(path string) error {
	file, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for n, document := range bytes.Split(file, []byte("\n---\n")) {
		if err := show(document); err != nil {
			return fmt.Errorf("%s, document %d: %w", path, n+1, err)
		}
	}
	return nil
}

// Puts together what a Kustomization names, and shows it.
func kustomize(path string) error {
	file, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var whole kustomization
	if err := yaml.UnmarshalStrict(file, &whole); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	documents := map[named][]byte{}
	var order []named
	for _, resource := range whole.Resources {
		file, err := os.ReadFile(filepath.Join(filepath.Dir(path), resource))
		if err != nil {
			return err
		}
		for _, document := range bytes.Split(file, []byte("\n---\n")) {
			var name named
			if err := yaml.Unmarshal(document, &name); err != nil {
				return fmt.Errorf("%s: %w", resource, err)
			}
			documents[name], order = document, append(order, name)
		}
	}
	for n, patch := range whole.Patches {
		document := []byte(patch.Patch)
		if patch.Path != "" {
			if document, err = os.ReadFile(filepath.Join(filepath.Dir(path), patch.Path)); err != nil {
				return err
			}
		}
		if err := apply(documents, document); err != nil {
			return fmt.Errorf("%s, patch %d: %w", path, n+1, err)
		}
	}
	for _, name := range order {
		if err := show(documents[name]); err != nil {
			return fmt.Errorf("%s, %s %s: %w", path, name.Kind, name.Metadata.Name, err)
		}
	}
	return nil
}

// Changes the object of this name by a strategic merge patch, as kubectl does. No field of the patch is unknown.
func apply(documents map[named][]byte, patch []byte) error {
	var name named
	if err := yaml.Unmarshal(patch, &name); err != nil {
		return err
	}
	original, ok := documents[name]
	if !ok {
		return fmt.Errorf("there is no %s %s", name.Kind, name.Metadata.Name)
	}
	kind, err := object(name.TypeMeta)
	if err != nil {
		return err
	}
	if err := yaml.UnmarshalStrict(patch, kind); err != nil {
		return err
	}
	original, errOriginal := yaml.YAMLToJSON(original)
	patch, errPatch := yaml.YAMLToJSON(patch)
	if err := errors.Join(errOriginal, errPatch); err != nil {
		return err
	}
	documents[name], err = strategicpatch.StrategicMergePatch(original, patch, kind)
	return err
}

// Decodes an object, and prints, a line each, what its containers are started with and how they are probed: `env NAME=VALUE`, `arg WORD`, `readiness WORD`.
func show(document []byte) error {
	var kind meta.TypeMeta
	if err := yaml.Unmarshal(document, &kind); err != nil {
		return err
	}
	object, err := object(kind)
	if err != nil {
		return err
	}
	if err := yaml.UnmarshalStrict(document, object); err != nil {
		return err
	}
	deployment, ok := object.(*apps.Deployment)
	if !ok {
		return nil
	}
	for _, container := range deployment.Spec.Template.Spec.Containers {
		for _, variable := range container.Env {
			fmt.Printf("env %s=%s\n", variable.Name, variable.Value)
		}
		for _, arg := range container.Args {
			fmt.Printf("arg %s\n", arg)
		}
		for name, probe := range map[string]*core.Probe{"readiness": container.ReadinessProbe, "liveness": container.LivenessProbe, "startup": container.StartupProbe} {
			// The API server takes one handler, no more.
			if (probe.GRPC == nil) == (probe.Exec == nil) {
				return fmt.Errorf("the %s probe wants one of grpc and exec", name)
			}
			if probe.Exec != nil {
				for _, word := range probe.Exec.Command {
					fmt.Printf("%s %s\n", name, word)
				}
			}
		}
	}
	return nil
}
