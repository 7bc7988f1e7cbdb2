'use strict';
// What must fit between the objects of one rendered overlay. Each check gets all of them and answers what is wrong, a line each.

const { nameOf } = require('./schema.js');

// Who applies the manifests makes these: docs/kubernetes.md says how.
const yours = {
  'Secret/remuda-join-agent': ['token', 'pin'],
  'Secret/remuda-join-proxy': ['token', 'pin'],
  'Secret/remuda-sealing': ['sealing.key'],
  'Secret/remuda-etcd': ['ca.pem', 'tls.crt', 'tls.key'],
};

const find = (objects, kind, name) => objects.find((object) => object.kind === kind && object.metadata.name === name);
const matches = (selector = {}, labels = {}) => Object.entries(selector).every(([key, value]) => labels[key] === value);

// [{owner, template, spec, containers, volumes}] of all that makes pods.
function podsOf(objects) {
  return objects.filter((object) => object.spec?.template).map((owner) => {
    const { template } = owner.spec;
    const claims = (owner.spec.volumeClaimTemplates || []).map((claim) => claim.metadata.name);
    return {
      owner, template, spec: template.spec,
      containers: [...(template.spec.initContainers || []), ...template.spec.containers],
      volumes: new Set([...claims, ...(template.spec.volumes || []).map((volume) => volume.name)]),
    };
  });
}

const portsOf = (pod) => new Set(pod.containers.flatMap((container) => (container.ports || []).map((port) => port.name)));

function checkNamespaces(objects) {
  const clusterWide = ['Namespace', 'ClusterRole', 'ClusterRoleBinding'];
  return objects.filter((object) => !clusterWide.includes(object.kind) && !find(objects, 'Namespace', object.metadata.namespace))
    .map((object) => `${nameOf(object)}: its namespace "${object.metadata.namespace}" is not made`);
}

function checkSelectors(objects) {
  const wrong = [];
  const pods = podsOf(objects);
  const expect = (object, what, selector) => {
    const found = pods.filter((pod) => matches(selector, pod.template.metadata.labels));
    if (!selector || found.length !== 1) wrong.push(`${nameOf(object)}: ${what} ${JSON.stringify(selector)} fits pods of ${found.length} owners, not of one`);
    return found;
  };
  for (const pod of pods) {
    if (!expect(pod.owner, 'its selector', pod.owner.spec.selector.matchLabels).includes(pod)) wrong.push(`${nameOf(pod.owner)}: its selector does not fit its own pods`);
    for (const spread of pod.spec.topologySpreadConstraints || []) {
      if (!expect(pod.owner, 'its spread', spread.labelSelector.matchLabels).includes(pod)) wrong.push(`${nameOf(pod.owner)}: its spread counts other pods`);
    }
  }
  for (const object of objects) {
    if (object.kind === 'PodDisruptionBudget') expect(object, 'its selector', object.spec.selector.matchLabels);
    if (object.kind === 'Service') {
      for (const pod of expect(object, 'its selector', object.spec.selector)) {
        for (const port of object.spec.ports) if (!portsOf(pod).has(port.targetPort)) wrong.push(`${nameOf(object)}: targetPort "${port.targetPort}" is no port of ${nameOf(pod.owner)}`);
      }
    }
    if (object.kind === 'NetworkPolicy') {
      for (const pod of expect(object, 'its podSelector', object.spec.podSelector.matchLabels)) {
        const named = object.spec.ingress.flatMap((rule) => (rule.ports || []).map((port) => port.port));
        for (const port of named) if (!portsOf(pod).has(port)) wrong.push(`${nameOf(object)}: port "${port}" is no port of ${nameOf(pod.owner)}`);
      }
    }
  }
  return wrong;
}

// Names of other objects, and what stands in them.
function checkReferences(objects) {
  const wrong = [];
  const need = (by, kind, name, keys = []) => {
    const made = find(objects, kind, name);
    const held = made ? Object.keys({ ...made.data, ...made.stringData }) : yours[`${kind}/${name}`];
    if (!held) wrong.push(`${by}: ${kind}/${name} is neither made nor documented as yours to make`);
    else for (const key of keys) if (!held.includes(key)) wrong.push(`${by}: ${kind}/${name} has no key "${key}"`);
  };
  for (const pod of podsOf(objects)) {
    const by = nameOf(pod.owner);
    need(by, 'ServiceAccount', pod.spec.serviceAccountName);
    if (pod.owner.spec.serviceName) need(by, 'Service', pod.owner.spec.serviceName);
    for (const volume of pod.spec.volumes || []) {
      if (volume.secret) need(by, 'Secret', volume.secret.secretName, (volume.secret.items || []).map((item) => item.key));
      if (volume.configMap) need(by, 'ConfigMap', volume.configMap.name);
    }
    for (const container of pod.containers) {
      for (const one of container.env || []) {
        if (one.valueFrom?.secretKeyRef) need(by, 'Secret', one.valueFrom.secretKeyRef.name, [one.valueFrom.secretKeyRef.key]);
      }
      for (const one of container.envFrom || []) if (one.configMapRef) need(by, 'ConfigMap', one.configMapRef.name);
      for (const mount of container.volumeMounts || []) if (!pod.volumes.has(mount.name)) wrong.push(`${by}: ${container.name} mounts "${mount.name}", which is no volume`);
    }
  }
  for (const object of objects.filter((one) => one.kind === 'ClusterRoleBinding')) {
    need(nameOf(object), object.roleRef.kind, object.roleRef.name);
    for (const subject of object.subjects) {
      need(nameOf(object), subject.kind, subject.name);
      if (!find(objects, 'Namespace', subject.namespace)) wrong.push(`${nameOf(object)}: namespace "${subject.namespace}" is not made`);
    }
  }
  return wrong;
}

const probesOf = (container) => ['startupProbe', 'livenessProbe', 'readinessProbe'].map((kind) => [kind, container[kind]]);

function checkProbes(objects) {
  const wrong = [];
  for (const pod of podsOf(objects)) {
    for (const container of pod.spec.containers) {
      const ports = new Set((container.ports || []).map((port) => port.name));
      const pages = container.args.map((arg) => /^--(admin|http)=.*:(\d+)$/.exec(arg)?.[2]).filter(Boolean);
      for (const [kind, probe] of probesOf(container)) {
        const at = `${nameOf(pod.owner)}: ${container.name}: ${kind}`;
        const page = kind === 'readinessProbe' ? '/readyz' : '/healthz';
        if (!probe) wrong.push(`${at} is missing`);
        else if (probe.httpGet.path !== page) wrong.push(`${at} asks ${probe.httpGet.path}, not ${page}`);
        else {
          const { port } = probe.httpGet;
          const number = typeof port === 'number' ? port : (container.ports || []).find((one) => one.name === port)?.containerPort;
          if (typeof port === 'string' && !ports.has(port)) wrong.push(`${at}: "${port}" is no port of the container`);
          else if (!pages.includes(String(number))) wrong.push(`${at} asks port ${number}; the pages are served on ${pages}`);
        }
      }
    }
    const annotations = pod.template.metadata.annotations || {};
    if (annotations['prometheus.io/scrape']) {
      const numbers = pod.containers.flatMap((container) => (container.ports || []).map((port) => String(port.containerPort)));
      if (!numbers.includes(annotations['prometheus.io/port'])) wrong.push(`${nameOf(pod.owner)}: prometheus.io/port ${annotations['prometheus.io/port']} is no port of the pod`);
    }
  }
  return wrong;
}

// Only what is named here may have more than nothing.
const mayBeRoot = ['DaemonSet/remuda-agent'];

function checkSecurity(objects) {
  const wrong = [];
  for (const pod of podsOf(objects)) {
    const by = nameOf(pod.owner);
    const isRoot = mayBeRoot.includes(by);
    const expect = (holds, what) => { if (!holds) wrong.push(`${by}: ${what}`); };
    expect(pod.spec.securityContext?.seccompProfile?.type === 'RuntimeDefault', 'seccompProfile is not RuntimeDefault');
    expect(isRoot || (pod.spec.securityContext.runAsNonRoot === true && pod.spec.securityContext.runAsUser > 0), 'may run as root');
    expect(isRoot || !pod.spec.volumes.some((volume) => volume.hostPath), 'uses directories of its host');
    expect(pod.owner.metadata.name === 'remuda-controller' || pod.spec.automountServiceAccountToken === false, 'is given a token of Kubernetes');
    for (const container of pod.containers) {
      const context = container.securityContext || {};
      const at = `${container.name}: `;
      const isAgent = isRoot && container.name === 'agent';
      expect(isAgent || context.allowPrivilegeEscalation === false, `${at}allowPrivilegeEscalation is not false`);
      expect(context.readOnlyRootFilesystem === true, `${at}its root can be written`);
      expect(context.privileged === undefined, `${at}privileged`);
      expect(JSON.stringify(context.capabilities?.drop) === '["ALL"]', `${at}does not drop all capabilities`);
      expect(isAgent || !context.capabilities?.add, `${at}adds capabilities`);
      expect(container.resources?.requests?.cpu && container.resources.requests.memory && container.resources.limits?.memory, `${at}has no requests or no limit of memory`);
      expect(/^[^:@]+(:\d+\/[^:@]+)?(:(?!latest$)[\w.-]+|@sha256:[0-9a-f]{64})$/.test(container.image), `${at}image "${container.image}" is not pinned`);
    }
    const usesHost = pod.spec.hostNetwork || pod.spec.volumes.some((volume) => volume.hostPath);
    const level = find(objects, 'Namespace', pod.owner.metadata.namespace)?.metadata.labels['pod-security.kubernetes.io/enforce'];
    if (usesHost) expect(level === 'privileged', `its namespace enforces "${level}", which forbids its pods`);
  }
  return wrong;
}

const seconds = (text) => Number(/^(\d+)s$/.exec(text)?.[1] ?? NaN);

// What the programs are run with: variables that are there, Services that are there.
function checkArguments(objects) {
  const wrong = [];
  for (const pod of podsOf(objects)) {
    for (const container of pod.containers) {
      const at = `${nameOf(pod.owner)}: ${container.name}`;
      const variables = new Set((container.env || []).map((one) => one.name));
      for (const arg of container.args) {
        for (const [, name] of arg.matchAll(/\$\((\w+)\)/g)) if (!variables.has(name)) wrong.push(`${at}: ${arg}: ${name} is no variable of it`);
        const [, host, port] = /^--(?:controller|advertise)=(.*):(\d+)$/.exec(arg) || [];
        if (!host) continue;
        const service = find(objects, 'Service', host.replace(/^\$\(POD_NAME\)\./, '').split('.')[0]);
        if (!service) wrong.push(`${at}: ${arg}: there is no such Service`);
        else if (!service.spec.ports.some((one) => one.port === Number(port))) wrong.push(`${at}: ${arg}: ${nameOf(service)} has no port ${port}`);
      }
    }
  }
  return wrong;
}

const reserve = 10; // seconds of the grace period that no drain may use
const argOf = (container, flag) => container.args.find((arg) => arg === flag || arg.startsWith(`${flag}=`))?.slice(flag.length + 1);

// How pods come and go: nobody is sent to one that does not serve, and none that serves is turned away from.
function checkComingAndGoing(objects) {
  const wrong = [];
  const services = objects.filter((object) => object.kind === 'Service');
  for (const pod of podsOf(objects).filter(({ owner }) => owner.metadata.name === 'remuda-proxy')) {
    const by = nameOf(pod.owner);
    const expect = (holds, what) => { if (!holds) wrong.push(`${by}: ${what}`); };
    const [container] = pod.spec.containers;
    const preStop = container.lifecycle?.preStop?.sleep?.seconds ?? 0;
    const [delay, timeout] = ['--drain-delay', '--drain-timeout'].map((flag) => seconds(argOf(container, flag) ?? '0s'));
    const grace = pod.spec.terminationGracePeriodSeconds;
    expect(grace >= preStop + delay + timeout + reserve, `drains for ${preStop}+${delay}+${timeout} s and is killed after ${grace}`);
    expect(pod.owner.spec.minReadySeconds > 0, 'the next one goes before what is in front has found the new one: no minReadySeconds');
    const service = services.find((one) => matches(one.spec.selector, pod.template.metadata.labels));
    if (!service) {
      expect(delay > 0, 'nobody in front is told before it drains: no --drain-delay');
      continue;
    }
    expect(argOf(container, '--ready-without-lease') !== undefined, 'without a controller none is ready, and the Service leads to none: no --ready-without-lease');
    // One that ends is sent to by kube-proxy only where it still is ready.
    expect(preStop > 0 && delay === 0, `${nameOf(service)} sends to it for a while yet when it ends: preStop must sleep, ready, and nothing be waited for after it`);
  }
  for (const budget of objects.filter((object) => object.kind === 'PodDisruptionBudget')) {
    if (budget.spec.unhealthyPodEvictionPolicy !== 'AlwaysAllow') wrong.push(`${nameOf(budget)}: pods that are not ready hold up the drain of a node`);
  }
  return wrong;
}

module.exports = { checks: { checkNamespaces, checkSelectors, checkReferences, checkProbes, checkSecurity, checkArguments, checkComingAndGoing }, podsOf, yours };
