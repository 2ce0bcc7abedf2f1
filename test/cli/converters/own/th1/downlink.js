return { contentType: 'TEXT', data: 'period=' + msg.period, metadata: { topic: 'th1/' + metadata.deviceName } };
