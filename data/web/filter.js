// Which flows and events are shown: the words of `sluice observe`, as one line.
//
//   denied name=*.example.org proto=tcp port=443,8000-8080
//
// Of one kind any may hold, of different kinds all must. See src/telemetry/events/event_filter.h.

const kTypes = new Set(["start", "open", "close", "deny", "limit", "revoke", "dns", "policy", "gate",
  "ask", "decision", "lost", "end"]);
const kProtocols = new Set(["tcp", "udp", "icmp"]);
const kKinds = ["type", "name", "proto", "port", "peer", "reason", "flow", "rule"];

const normal = text => text.toLowerCase().replace(/\.$/, "");

export function nameMatches(pattern, text) {
  pattern = normal(pattern);
  const name = normal(text);
  if (!name) return false;
  if (pattern === "*") return true;
  if (pattern.startsWith("*.")) {
    return name.length > pattern.length - 1 && name.endsWith(pattern.slice(1));
  }
  if (pattern.startsWith(".")) return name.endsWith(pattern) || name === pattern.slice(1);
  const star = pattern.indexOf("*");
  if (star < 0) return name === pattern;
  const before = pattern.slice(0, star);
  const after = pattern.slice(star + 1);
  return name.length >= before.length + after.length && name.startsWith(before) &&
    name.endsWith(after) && !name.slice(before.length, name.length - after.length).includes(".");
}

// [bits, value] of an address, or null.
export function readAddress(text) {
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) {
    const parts = text.split(".").map(Number);
    if (parts.some(part => part > 255)) return null;
    return [32, parts.reduce((sum, part) => sum * 256n + BigInt(part), 0n)];
  }
  if (!/^[0-9a-f:]+$/i.test(text) || !text.includes(":")) return null;
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const [head, tail] = halves.map(half => half ? half.split(":") : []);
  const missing = 8 - head.length - (tail?.length ?? 0);
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  const groups = [...head, ...Array(Math.max(0, missing)).fill("0"), ...(tail ?? [])];
  if (groups.some(group => !/^[0-9a-f]{1,4}$/i.test(group))) return null;
  return [128, groups.reduce((sum, group) => sum * 65536n + BigInt(`0x${group}`), 0n)];
}

function readPrefix(text) {
  const [address, length] = text.split("/");
  const read = readAddress(address);
  if (!read || (length !== undefined && !/^\d{1,3}$/.test(length))) return null;
  const bits = length === undefined ? read[0] : Number(length);
  return bits > read[0] ? null : {family: read[0], shift: BigInt(read[0] - bits), value: read[1]};
}

function readPorts(text) {
  const ranges = [];
  for (const part of text.split(",")) {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part);
    if (!match) return null;
    const first = Number(match[1]);
    const last = Number(match[2] ?? match[1]);
    if (first > last || last > 65535) return null;
    ranges.push([first, last]);
  }
  return ranges;
}

// A test of one value of a kind; throws a sentence.
function readTest(kind, value) {
  if (!value) throw new Error(`${kind} is empty`);
  switch (kind) {
    case "type":
      if (!kTypes.has(value)) throw new Error(`'${value}' is not a type of event`);
      return event => event.type === value;
    case "proto":
      if (!kProtocols.has(value)) {
        throw new Error(`'${value}' is not a protocol; expected tcp, udp or icmp`);
      }
      return event => event.proto === value;
    case "name": {
      const star = value.indexOf("*");
      if (star >= 0 && (value.indexOf("*", star + 1) >= 0 ||
          (value.includes(".") && value.indexOf(".") < star))) {
        throw new Error(`'${value}' is not a pattern of names; ` +
          "expected one star, in the leftmost label");
      }
      return event => nameMatches(value, event.name ?? "");
    }
    case "port": {
      const ranges = readPorts(value);
      if (!ranges) {
        throw new Error(`'${value}' is not a list of ports; expected 80, 80-90 or 22,80-90`);
      }
      return event => ranges.some(([first, last]) => first <= event.port && event.port <= last);
    }
    case "peer": {
      const prefix = readPrefix(value);
      if (!prefix) {
        throw new Error(`'${value}' is not an address; expected one as 192.0.2.7 or 2001:db8::/32`);
      }
      return event => {
        const address = readAddress(event.address ?? "");
        return address !== null && address[0] === prefix.family &&
          address[1] >> prefix.shift === prefix.value >> prefix.shift;
      };
    }
    case "flow": return event => event.flow === normal(value);
    default: return event => event[kind] === value;
  }
}

export const isRefusal = event =>
  event.type === "deny" || event.type === "limit" || event.type === "revoke";

// A function of an event, or of a flow. Throws an error whose message is a sentence.
export function parseFilter(text) {
  const tests = new Map();
  let denied = false;
  for (const word of text.split(" ").filter(word => word)) {
    if (word === "denied") {
      denied = true;
      continue;
    }
    const equals = word.indexOf("=");
    if (equals < 0) throw new Error(`'${word}' has no value; expected ${word}=…`);
    const kind = word.slice(0, equals);
    if (!kKinds.includes(kind)) {
      throw new Error(`'${kind}' is not known; expected denied, ${kKinds.join(", ")}`);
    }
    if (!tests.has(kind)) tests.set(kind, []);
    tests.get(kind).push(readTest(kind, word.slice(equals + 1)));
  }
  const all = [...tests.values()];
  return event => (!denied || isRefusal(event)) &&
    all.every(any => any.some(test => test(event)));
}
