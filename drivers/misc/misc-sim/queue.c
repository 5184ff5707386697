// SPDX-License-Identifier: GPL-2.0-only
/*
 * Channels of the simulated misc device: packets and their queues
 */

#include <linux/list.h>
#include <linux/pid.h>
#include <linux/slab.h>

#include "misc-sim.h"

static void misc_sim_end_init(struct misc_sim_end *end)
{
	INIT_LIST_HEAD(&end->packets);
	init_waitqueue_head(&end->wait);
}

/**
 * misc_sim_channel_create - create a channel, without the node of its peer
 * @dev: the device, which will own the channel
 * @records: whether the peer reads and writes records
 *
 * Context: Process context.
 * Return: the channel, or NULL if no memory is available.
 */
struct misc_sim_channel *misc_sim_channel_create(struct misc_sim_device *dev,
						 bool records)
{
	struct misc_sim_channel *ch = kzalloc_obj(*ch);

	if (!ch)
		return NULL;

	ch->dev = dev;
	spin_lock_init(&ch->lock);
	misc_sim_end_init(&ch->device);
	misc_sim_end_init(&ch->peer);
	INIT_LIST_HEAD(&ch->files);
	INIT_LIST_HEAD(&ch->taken);
	ch->records = records;
	return ch;
}

/* No file is left, so only messages can be in the queues. */
void misc_sim_channel_destroy(struct misc_sim_channel *ch)
{
	misc_sim_packets_free(&ch->device.packets);
	misc_sim_packets_free(&ch->peer.packets);
	kfree(ch);
}

/**
 * misc_sim_packet_create - create a packet
 * @type: type of its record; the rest is zero
 * @gfp: allocation flags
 *
 * Context: Any context that @gfp allows.
 * Return: a packet with one reference, or NULL if no memory is available.
 */
struct misc_sim_packet *misc_sim_packet_create(u32 type, gfp_t gfp)
{
	struct misc_sim_packet *packet = kzalloc_obj(*packet, gfp);

	if (packet) {
		kref_init(&packet->ref);
		INIT_LIST_HEAD(&packet->list);
		packet->record.type = type;
	}
	return packet;
}

struct misc_sim_packet *misc_sim_packet_get(struct misc_sim_packet *packet)
{
	kref_get(&packet->ref);
	return packet;
}

static void misc_sim_packet_release(struct kref *ref)
{
	struct misc_sim_packet *packet = container_of(ref, struct misc_sim_packet, ref);

	if (packet->payload)
		misc_sim_message_put(packet->payload);
	if (packet->reply)
		misc_sim_message_put(packet->reply);
	put_pid(packet->pid);
	kfree(packet);
}

/**
 * misc_sim_packet_put - drop a reference
 * @packet: the packet
 *
 * Context: Process context. Not under a spinlock if this may be the last reference
 * to a packet with a payload.
 */
void misc_sim_packet_put(struct misc_sim_packet *packet)
{
	kref_put(&packet->ref, misc_sim_packet_release);
}

/**
 * misc_sim_packet_queue - append a packet to a queue, which takes a reference
 * @packet: the packet, in no queue
 * @end: the end that will read it
 *
 * Context: Process context, with &misc_sim_channel.lock held. The caller wakes
 * @end after it has dropped the lock.
 */
void misc_sim_packet_queue(struct misc_sim_packet *packet,
			   struct misc_sim_end *end)
{
	list_add_tail(&misc_sim_packet_get(packet)->list, &end->packets);
	WRITE_ONCE(packet->state, MISC_SIM_PACKET_QUEUED);
}

/**
 * misc_sim_packet_unqueue - remove a packet from its queue, and drop its reference
 * @packet: the packet, queued or taken; someone else has a reference to it if it
 *	has a payload
 *
 * Context: Process context, with &misc_sim_channel.lock held. If the packet is a
 * request, this finishes it, and the caller wakes the end of the device after it
 * has dropped the lock.
 */
void misc_sim_packet_unqueue(struct misc_sim_packet *packet)
{
	list_del_init(&packet->list);
	WRITE_ONCE(packet->state, MISC_SIM_PACKET_IDLE);
	misc_sim_packet_put(packet);
}

/* Free messages that were in a queue, and that nobody else uses. */
void misc_sim_packets_free(struct list_head *packets)
{
	struct misc_sim_packet *packet, *next;

	list_for_each_entry_safe(packet, next, packets, list)
		misc_sim_packet_put(packet);
}
