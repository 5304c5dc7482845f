package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
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

func kubernetes(path string) error {
	file, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for n, document := range bytes.Split(file, []byte("\n---\n")) {
		var kind meta.TypeMeta
		if err := yaml.Unmarshal(document, &kind); err != nil {
			return fmt.Errorf("%s, document %d: %w", path, n+1, err)
		}
		object, err := object(kind)
		if err == nil {
			err = yaml.UnmarshalStrict(document, object)
		}
		if err != nil {
			return fmt.Errorf("%s, document %d: %w", path, n+1, err)
		}
		if deployment, ok := object.(*apps.Deployment); ok {
			for _, container := range deployment.Spec.Template.Spec.Containers {
				fmt.Println(strings.Join(container.Args, "\n"))
			}
		}
	}
	return nil
}
