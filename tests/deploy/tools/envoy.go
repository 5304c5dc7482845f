package main

import (
	"fmt"
	"os"

	bootstrap "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"sigs.k8s.io/yaml"
)

func envoy(path string) error {
	file, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	// A key that stands twice is an error here.
	json, err := yaml.YAMLToJSONStrict(file)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	config := &bootstrap.Bootstrap{}
	if err := protojson.Unmarshal(json, config); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := config.ValidateAll(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return validateExtensions(config.ProtoReflect())
}

// What stands in an Any, at any depth: `ValidateAll` of its holder does not look inside.
func validateExtensions(message protoreflect.Message) error {
	if packed, ok := message.Interface().(*anypb.Any); ok {
		extension, err := packed.UnmarshalNew()
		if err != nil {
			return err
		}
		if extension, ok := extension.(interface{ ValidateAll() error }); ok {
			if err := extension.ValidateAll(); err != nil {
				return fmt.Errorf("%s: %w", packed.TypeUrl, err)
			}
		}
		fmt.Println(proto.MessageName(extension))
		return validateExtensions(extension.ProtoReflect())
	}
	var failed error
	each := func(value protoreflect.Value) bool {
		failed = validateExtensions(value.Message())
		return failed == nil
	}
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap():
			if field.MapValue().Message() != nil {
				value.Map().Range(func(_ protoreflect.MapKey, value protoreflect.Value) bool { return each(value) })
			}
		case field.IsList():
			for i := 0; field.Message() != nil && i < value.List().Len() && each(value.List().Get(i)); i++ {
			}
		case field.Message() != nil:
			each(value)
		}
		return failed == nil
	})
	return failed
}
