'use strict';
// Makes of a rendered overlay what `podman kube play` (4.3) can play, and process_play.js: what these know of the real manifests, unchanged, and the
// rest put in other words or left out. What that is, and nothing else:
//
//   StatefulSet, DaemonSet    their pod template as a Pod; a volumeClaimTemplate as a PersistentVolumeClaim
//   Services                  left out; their names are written as 127.0.0.1, as all pods share one network (4.3 knows hostAliases, not for that one)
//   accounts, RBAC, policies, budgets, namespaces   left out: a cluster's own
//   fieldRef, secretKeyRef, ConfigMaps, $(NAME) in arguments   written out
//   probes, preStop           left out: podman has curl ask in the container, and the images have none; whoever plays asks the pages
//   ports                     left out: the network is the host's
//   names of volumes          made unique: it makes one volume of all that have a name
//   restartPolicy             OnFailure: with Always an init container that is done is started again, and then cannot be removed
//   hostPath                  below a folder of the play
//   a volume of a Secret      a folder with its files, readable for all (fsGroup is not known to it): 4.3 mounts them in base64

const loopback = '127.0.0.1';

// Text with $(NAME) replaced, as the kubelet does.
const expand = (text, variables) => text.replace(/\$\((\w+)\)/g, (whole, name) => variables[name] ?? whole);

// What the kubelet would put for a field of the pod.
function fieldOf(path, pod) {
  const fields = { 'metadata.name': pod.name, 'metadata.namespace': pod.namespace, 'status.hostIP': loopback, 'status.podIP': loopback };
  return fields[path] ?? '';
}

function variablesOf(container, pod, secrets) {
  const out = Object.assign({}, ...(container.envFrom || []).map(({ configMapRef }) => pod.configs[configMapRef.name]));
  for (const { name, value, valueFrom } of container.env || []) {
    if (value !== undefined) out[name] = value;
    else if (valueFrom.fieldRef) out[name] = fieldOf(valueFrom.fieldRef.fieldPath, pod);
    else out[name] = Buffer.from(secrets[valueFrom.secretKeyRef.name][valueFrom.secretKeyRef.key], 'base64').toString();
  }
  return out;
}

function playableContainer(container, pod, secrets) {
  const { startupProbe, livenessProbe, readinessProbe, lifecycle, ports, env, envFrom, ...rest } = container;
  const variables = variablesOf(container, pod, secrets);
  return {
    ...rest,
    image: `${pod.prefix}${container.image.split(':')[0]}:${pod.tag}`,
    args: container.args.map((arg) => pod.hostnames.reduce((text, name) => text.replace(name, loopback), expand(arg, variables))),
    env: Object.entries(variables).map(([name, value]) => ({ name, value })),
    volumeMounts: (container.volumeMounts || []).map((mount) => ({ ...mount, name: `${pod.name}-${mount.name}` })),
  };
}

// Where whoever plays puts the files of a Secret.
const secretFolder = (folder, name) => `${folder}/secrets/${name}`;

function playableVolume(volume, pod) {
  const out = { ...volume, name: `${pod.name}-${volume.name}` };
  if (volume.secret) {
    delete out.secret;
    out.hostPath = { path: secretFolder(pod.folder, volume.secret.secretName) };
  }
  if (volume.hostPath) out.hostPath = { ...volume.hostPath, path: pod.folder + volume.hostPath.path };
  return out;
}

// The objects to play for the owner of that name. options: prefix, tag (of the images), folder (in place of the host's root), secrets: {name: {key:
// base64}}, which are played with it, config: {key: value}, in place of what ConfigMaps say.
function podOf(objects, owner, { prefix, tag, folder, secrets = {}, config = {} }) {
  const found = objects.find((object) => object.spec?.template && object.metadata.name === owner);
  if (!found) throw new Error(`${owner}: makes no pods in this overlay`);
  const { namespace } = found.metadata;
  const services = objects.filter((object) => object.kind === 'Service').map((service) => `${service.metadata.name}.${namespace}.svc`);
  const hostnames = [...services.map((service) => `${owner}-0.${service}`), ...services]; // a pod's own first
  const configs = Object.fromEntries(objects.filter((object) => object.kind === 'ConfigMap').map(({ metadata: { name }, data }) => [name, { ...data, ...config }]));
  const pod = { name: `${owner}-0`, namespace, prefix, tag, folder, hostnames, configs };
  const { spec, metadata } = found.spec.template;
  const claims = found.spec.volumeClaimTemplates || [];
  const volumes = [
    ...(spec.volumes || []).map((volume) => playableVolume(volume, pod)),
    ...claims.map((claim) => ({ name: `${pod.name}-${claim.metadata.name}`, persistentVolumeClaim: { claimName: `${pod.name}-${claim.metadata.name}` } })),
  ];
  return [
    ...claims.map((claim) => ({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: `${pod.name}-${claim.metadata.name}` }, spec: claim.spec })),
    {
      apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata, name: pod.name },
      spec: {
        ...spec,
        restartPolicy: 'OnFailure',
        initContainers: (spec.initContainers || []).map((one) => playableContainer(one, pod, secrets)),
        containers: spec.containers.map((one) => playableContainer(one, pod, secrets)),
        volumes,
      },
    },
  ];
}

module.exports = { podOf, secretFolder };
