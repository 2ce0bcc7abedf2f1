// Temperature in tenths of a degree, relative humidity in percent.
return {
  deviceName: 'TH1 ' + metadata.devEui,
  deviceType: 'TH1',
  telemetry: { ts: Number(metadata.ts), values: { temperature: int16(payload, 0) / 10, humidity: payload[2] } },
};
function int16(bytes, at) {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16)) >> 16;
}
